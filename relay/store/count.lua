-- count.lua: add to a counter that forgets itself.
--
-- KEYS[1]  counter      ARGV[1]  how much to add      ARGV[2]  time to live (ms), from its first count
-- Returns the sum.

local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
