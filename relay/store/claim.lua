-- claim.lua: one turn of a delivery lane: renew its lease and claim what is due. Claiming moves the due time to when
-- the claim ends, so what a dead holder had claimed falls due again by itself.
--
-- KEYS[1] lane hash   KEYS[2] relay:lanes   KEYS[3] due deliveries (zset, registration id -> store ms)
-- ARGV[1] lane        ARGV[2] epoch         ARGV[3] lease (ms)   ARGV[4] claims wanted   ARGV[5] length of a claim (ms)
-- Returns false when fenced, else {ms until the next is due or -1, id, ...}.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return false end
local now = store_now()
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'stirred')

local claimed = {}
if ARGV[4] ~= '0' then
  claimed = redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
  for _, id in ipairs(claimed) do redis.call('ZADD', KEYS[3], 'XX', now + ARGV[5], id) end
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
table.insert(claimed, 1, first[2] and math.max(0, tonumber(first[2]) - now) or -1)
return claimed
