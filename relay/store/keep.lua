-- keep.lua: keep something that the holder of a lane knows, for its next holder.
--
-- KEYS[1]  lane hash      KEYS[2]  the hash to keep it in: the lane's own, its suspects, relay:paused
-- ARGV[1]  epoch          ARGV[2]  ms for which that hash is kept from now on, 0 for as long as it was
-- ARGV[3]  field          ARGV[4]  value, '' to forget the field
-- Returns 1, or false when fenced.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return false end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[2], ARGV[3])
else
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
end
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
