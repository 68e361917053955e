-- release.lua: hand a lane back, so that somebody else may go on at once, or later when nothing is due.
--
-- KEYS[1]  lane hash      KEYS[2]  relay:lanes      KEYS[3]  the lane's own zset: pending tasks, or due deliveries
-- KEYS[4]  parked deliveries, whose next holder is wanted now (of a poll lane, which has none: its own zset again)
-- ARGV[1]  lane           ARGV[2]  epoch            ARGV[3]  the channel WANT
-- ARGV[4]  'poll' (anything pending is due now) or 'delivery' (the first score is when it is due, store ms)
-- ARGV[5]  ms for which to remember the epoch of a lane with nothing left
-- Returns 1, or 0 when somebody else holds it.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'holder', 'stirred')

local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local parked = redis.call('EXISTS', KEYS[4]) == 1
if #first == 0 and not parked then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return 1
end
local now = store_now()
local due = (ARGV[4] == 'poll' or parked) and now or tonumber(first[2])
redis.call('ZADD', KEYS[2], due, ARGV[1])
if due <= now then redis.call('PUBLISH', ARGV[3], ARGV[1]) end
return 1
