-- claim.lua: one turn of a delivery lane: renew its lease, claim what is due, park what has to wait for long, and recall
-- what was parked. Claiming moves the due time to when the claim ends, so what a dead holder had claimed falls due again
-- by itself. What is parked at a place (a host, a client) is out of everybody's way until that place is recalled.
--
-- KEYS[1] lane hash   KEYS[2] relay:lanes   KEYS[3] due deliveries (zset, registration id -> store ms)
-- KEYS[4] parked deliveries (zset, every score 0: '<place> NUL <when parked> NUL <registration id>')
-- ARGV[1] lane        ARGV[2] epoch         ARGV[3] lease (ms)   ARGV[4] claims wanted   ARGV[5] length of a claim (ms)
-- ARGV[6] what the keys of registrations begin with (they lie in this shard)
-- ARGV[7] how many to park; then for each its place, id; then how many crowds; then for each its place, what its records
-- contain; then for each recall its place, at most how many
-- Those of a crowd, which has some parked already, are parked unseen, so that they hide nobody else. Claimed are the half
-- that has been due for longest and the half that became due last: neither waits for all of those between. Recalled are,
-- by turns, the one that was parked first and the one that was parked last.
-- Returns false when fenced, else {ms until the next is due or -1, claimed ids, recalled ids of each recall}.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return false end
local now = store_now()
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'stirred')

local LOOKED_AT = 500
local order = 0
local function park(place, id)
  if redis.call('ZREM', KEYS[3], id) == 0 then return end
  order = order + 1
  redis.call('ZADD', KEYS[4], 0, place .. '\0' .. string.format('%013d.%06d', now, order) .. '\0' .. id)
end

local crowds_at = 8 + 2 * ARGV[7]
for i = 8, crowds_at - 1, 2 do park(ARGV[i], ARGV[i + 1]) end

local recalls_at = crowds_at + 1 + 2 * ARGV[crowds_at]
if ARGV[crowds_at] ~= '0' then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, LOOKED_AT)) do
    local record = redis.call('GET', ARGV[6] .. id) or ''
    for i = crowds_at + 1, recalls_at - 1, 2 do
      if string.find(record, ARGV[i + 1], 1, true) then
        park(ARGV[i], id)
        break
      end
    end
  end
end

local function claim(id, ids)
  redis.call('ZADD', KEYS[3], now + ARGV[5], id)
  ids[#ids + 1] = id
end

local claimed, oldest = {}, math.ceil(ARGV[4] / 2)
if oldest > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, oldest)) do claim(id, claimed) end
  local newest = ARGV[4] - oldest
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], now, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, newest)) do
    claim(id, claimed)
  end
end

local answer = {-1, claimed}
for i = recalls_at, #ARGV, 2 do
  local recalled, at_most = {}, tonumber(ARGV[i + 1])
  local from, to = '[' .. ARGV[i] .. '\0', '(' .. ARGV[i] .. '\1'
  while #recalled < at_most do
    local parked = #recalled % 2 == 0 and redis.call('ZRANGE', KEYS[4], from, to, 'BYLEX', 'LIMIT', 0, 1)[1]
      or redis.call('ZRANGE', KEYS[4], to, from, 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
    if not parked then break end
    redis.call('ZREM', KEYS[4], parked)
    local id = string.match(parked, '[^%z]+$')
    -- One that was parked while it was still being tried stands among the due again, at its next time.
    if not redis.call('ZSCORE', KEYS[3], id) then claim(id, recalled) end
  end
  answer[#answer + 1] = recalled
end

local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if first[2] then answer[1] = math.max(0, tonumber(first[2]) - now) end
return answer
