-- release.lua: hand a lane back, so that somebody else may go on at once, or later when nothing is due.
--
-- KEYS[1]  lane hash      KEYS[2]  relay:lanes      KEYS[3]  the lane's own zset: pending tasks, or due deliveries
-- KEYS[4]  parked deliveries, whose next holder is wanted now (of a poll lane, which has none: its own zset again)
-- ARGV[1]  lane           ARGV[2]  epoch            ARGV[3]  the channel WANT
-- ARGV[4]  'poll' (anything pending is due now) or 'delivery' (the first score is when it is due, store ms)
-- ARGV[5]  ms for which to remember the epoch of a lane with nothing left
-- ARGV[6]  ms for which a lane rests that has failed for the first time, 0 when it has not
-- ARGV[7]  '1' when it had not failed for long before
-- Returns 1, or 0 when somebody else holds it.

local LONGEST_REST = 60000

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'holder', 'stirred')
local now = store_now()

if ARGV[6] ~= '0' then
  local failures = ARGV[7] == '1' and 1 or tonumber(redis.call('HGET', KEYS[1], 'failures') or '0') + 1
  -- Its news is heard when it is loaded: until then it is taken for stirred, so that none wakes it.
  redis.call('HSET', KEYS[1], 'failures', string.format('%d', failures), 'stirred', 1)
  redis.call('ZADD', KEYS[2], now + math.min(ARGV[6] * 2 ^ (failures - 1), LONGEST_REST), ARGV[1])
  return 1
end
redis.call('HDEL', KEYS[1], 'failures')

local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local parked = redis.call('EXISTS', KEYS[4]) == 1
if #first == 0 and not parked then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return 1
end
local due = (ARGV[4] == 'poll' or parked) and now or tonumber(first[2])
redis.call('ZADD', KEYS[2], due, ARGV[1])
if due <= now then redis.call('PUBLISH', ARGV[3], ARGV[1]) end
return 1
