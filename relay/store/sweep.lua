-- sweep.lua: take out of a client's index what has come to the end of its time to live.
--
-- KEYS[1...5]  the client's index, a zset for each state (packed id -> registered at, ms)
-- KEYS[6]      when records end (zset, packed id and its bucket -> store ms)
-- KEYS[7]      the clients that have an index (set)
-- ARGV[1]      client      ARGV[2]  how many to take out at most      ARGV[3]  what its buckets' names begin with
-- Returns how many were. Of a client with nothing left no key is left.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ended = redis.call('ZRANGE', KEYS[6], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, member in ipairs(ended) do
  local id = string.sub(member, 1, 17)
  redis.call('ZREM', KEYS[6], member)
  for state = 1, 5 do redis.call('ZREM', KEYS[state], id) end
  redis.call('SREM', ARGV[3] .. string.sub(member, 18), id)
end
if redis.call('EXISTS', unpack(KEYS, 1, 6)) == 0 then redis.call('SREM', KEYS[7], ARGV[1]) end
return #ended
