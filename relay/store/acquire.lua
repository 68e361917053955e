-- acquire.lua: take a lane that nobody holds, or whose holder let the lease pass.
--
-- KEYS[1]  lane hash      KEYS[2]  relay:lanes (zset, lane -> lease end or when it needs a holder, store ms)
-- KEYS[3]  suspects (hash, what is tried with care -> deaths in a row, and '+' while it is being tried)
-- ARGV[1]  lane           ARGV[2]  holder           ARGV[3]  lease (ms)
-- ARGV[4]  ms for which the lane is to be worked with care once a holder has vanished
-- Returns {epoch, 1 when it was reclaimed else 0}, or {'0', ms until the lease of its holder ends}.
-- The epoch is the fencing token: it grows even when the store has lost the last one.

local now = store_now()
local holder, epoch, slots, turned = unpack(redis.call('HMGET', KEYS[1], 'holder', 'epoch', 'slots', 'turned'))
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])

if holder and score and tonumber(score) > now then
  return {'0', tonumber(score) - now}
end

if holder and slots and turned then
  -- Its holder vanished, or the clock jumped past its lease: which of the two cannot be told, so what was held at
  -- its last turn is held for as long again from now on.
  local gone, kept = math.max(0, now - tonumber(turned)), {}
  for till, count in string.gmatch(slots, '(%d+)=(%d+)') do
    kept[#kept + 1] = string.format('%d=%d', till + gone, count)
  end
  redis.call('HSET', KEYS[1], 'slots', table.concat(kept, ' '))
end

-- A holder that takes its own lane again was out of reach, and did not die of what it was trying.
local vanished = holder and holder ~= ARGV[2]
local suspects = redis.call('HGETALL', KEYS[3])
for i = 1, #suspects, 2 do
  local deaths, tried = string.match(suspects[i + 1], '^(%d+)(%+?)$')
  if tried == '+' then
    deaths = deaths + (vanished and 1 or 0)
    if deaths > 1 then
      redis.call('HSET', KEYS[3], suspects[i], string.format('%d', deaths))
    else
      redis.call('HDEL', KEYS[3], suspects[i])
    end
  end
end
if vanished then redis.call('HSET', KEYS[1], 'careful', string.format('%d', now + ARGV[4])) end

-- A replica that was promoted may lack the last writes of the primary before it, and with them slots that were granted:
-- whoever takes a lane for the first time after that cannot know how full the window is. `turn.lua` says what it does.
local PROMOTED_LATELY, NO_SERVER = 600000, string.rep('0', 40)
local info = redis.pcall('INFO', 'replication')
local id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
if id then
  local before = string.match(info, 'master_replid2:(%x+)')
  local server, promoted = unpack(redis.call('HMGET', CLOCK, 'server', 'promoted'))
  if server ~= id then
    promoted = before ~= NO_SERVER and now or nil
    redis.call('HSET', CLOCK, 'server', id, 'promoted', string.format('%d', promoted or 0))
  end
  promoted = tonumber(promoted or '0')
  if redis.call('HGET', KEYS[1], 'server') ~= id and promoted > 0 and now - promoted < PROMOTED_LATELY then
    redis.call('HSET', KEYS[1], 'unsure', 1)
  end
  redis.call('HSET', KEYS[1], 'server', id)
end

local fence = math.max(tonumber(epoch or '0') + 1, now)
redis.call('HSET', KEYS[1], 'epoch', string.format('%d', fence), 'holder', ARGV[2], 'turned', string.format('%d', now))
redis.call('HDEL', KEYS[1], 'stirred', 'told', 'granted')
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
return {string.format('%d', fence), holder and 1 or 0}
