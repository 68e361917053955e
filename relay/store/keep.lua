-- keep.lua: keep something that the holder of a lane has learned, for its next holder.
--
-- KEYS[1]  lane hash      ARGV[1]  epoch      ARGV[2]  field      ARGV[3]  value
-- Returns 1, or false when fenced.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
