-- claim.lua: one turn of a delivery lane: renew its lease, claim what is due, park what has to wait for long, and recall
-- what was parked. Claiming moves the due time to when the claim ends, so what a dead holder had claimed falls due again
-- by itself. What is parked at a place (a host, a client) is out of everybody's way until that place is recalled.
--
-- KEYS[1] lane hash   KEYS[2] relay:lanes   KEYS[3] due deliveries (zset, registration id -> store ms)
-- KEYS[4] parked deliveries (zset, every score 0: '<place> NUL <when parked> NUL <registration id>')
-- ARGV[1] lane        ARGV[2] epoch         ARGV[3] lease (ms)   ARGV[4] claims wanted   ARGV[5] length of a claim (ms)
-- ARGV[6] how many to park; then for each its place, id; then for each recall its place, at most how many
-- Claimed are the half that has been due for longest and the half that became due last: neither waits for a whole crowd.
-- Returns false when fenced, else {ms until the next is due or -1, claimed ids, recalled ids of each recall}.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return false end
local now = store_now()
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'stirred')

local recalls_at = 7 + 2 * ARGV[6]
for i = 7, recalls_at - 1, 2 do
  local place, id = ARGV[i], ARGV[i + 1]
  if redis.call('ZREM', KEYS[3], id) == 1 then
    redis.call('ZADD', KEYS[4], 0, place .. '\0' .. string.format('%013d.%06d', now, i) .. '\0' .. id)
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
  local recalled, place = {}, ARGV[i]
  local from, to = '[' .. place .. '\0', '(' .. place .. '\1'
  for _, parked in ipairs(redis.call('ZRANGE', KEYS[4], from, to, 'BYLEX', 'LIMIT', 0, ARGV[i + 1])) do
    redis.call('ZREM', KEYS[4], parked)
    claim(string.match(parked, '[^%z]+$'), recalled)
  end
  answer[#answer + 1] = recalled
end

local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if first[2] then answer[1] = math.max(0, tonumber(first[2]) - now) end
return answer
