-- commit.lua: save records compare-and-set and put them where their own fields say. All of it, or nothing.
--
-- KEYS[1]  hash of the lane whose epoch fences the write     KEYS[2]  relay:lanes
-- ARGV[1]  the epoch, or '' when no lane is asked            ARGV[2], ARGV[3]  the channels STIR and WANT
-- Then operations, each taking its KEYS and ARGV in turn:
--   save    key            | expected version, value, ttl (ms, 0: none)   value is '<version> <JSON>'
--   blob    key            | value, ttl (ms, 0: none)
--   due     zset           | member, delay (ms from the store's now)
--   leave   zset           | member
--   expire  key            | ttl (ms, 0: never)
--   change  zset, lane     | member                  placed at the lane's next change number
--   left    zset, lane     | member, ttl (ms)        likewise: the holder hears that it is pending no more
--   forget  hash           | field
--   lay     trails, trail  | task, its last polls, ttl (ms)      puts its trail down, when it is pending no more
--   stand   the client's index: a zset for each of five states, and when records end (zset, store ms)
--                          | which state (1 to 5), packed id, registered at (ms), its bucket, ttl (ms, 0: none)
--   asked   bucket, set    | packed id, client       so that it is found by its RequestID, and its client's index
--   tell    stream, everybody's | event, registration, data, client as JSON, how many are kept, ttl (ms)
--                          each is announced on its stream's own channel; in everybody's it says whose it is
--   wake    lane hash      | lane                    tells its holder (STIR), or that it needs one (WANT)
-- Returns {'saved'}, {'fenced'}, or {'conflict', current value of each save or ''}.

local KEYS_OF = {
  save = 1, blob = 1, due = 1, leave = 1, expire = 1, change = 2, left = 2, forget = 1, stand = 6, asked = 2, tell = 2,
  lay = 2, wake = 1,
}
local ARGS_OF = {
  save = 3, blob = 2, due = 2, leave = 1, expire = 1, change = 1, left = 2, forget = 1, stand = 5, asked = 2, tell = 6,
  lay = 3, wake = 1,
}

local function each(operation)
  local key, arg = 3, 4
  while ARGV[arg] do
    operation(ARGV[arg], key, arg + 1)
    key, arg = key + KEYS_OF[ARGV[arg]], arg + 1 + ARGS_OF[ARGV[arg]]
  end
end

if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return {'fenced'}
end

local current, conflict = {'conflict'}, false
each(function(name, key, arg)
  if name ~= 'save' then return end
  local value = redis.call('GET', KEYS[key]) or ''
  if (string.match(value, '^%d+') or '0') ~= ARGV[arg] then conflict = true end
  current[#current + 1] = value
end)
if conflict then return current end

local clock
local function now()
  clock = clock or store_now()
  return clock
end

local function put(key, value, ttl)
  if ttl == '0' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PX', ttl) end
end

local apply = {
  save = function(key, arg) put(KEYS[key], ARGV[arg + 1], ARGV[arg + 2]) end,
  blob = function(key, arg) put(KEYS[key], ARGV[arg], ARGV[arg + 1]) end,
  due = function(key, arg) redis.call('ZADD', KEYS[key], now() + ARGV[arg + 1], ARGV[arg]) end,
  leave = function(key, arg) redis.call('ZREM', KEYS[key], ARGV[arg]) end,
  expire = function(key, arg)
    if ARGV[arg] == '0' then redis.call('PERSIST', KEYS[key]) else redis.call('PEXPIRE', KEYS[key], ARGV[arg]) end
  end,
  change = function(key, arg)
    redis.call('ZADD', KEYS[key], redis.call('HINCRBY', KEYS[key + 1], 'change', 1), ARGV[arg])
  end,
  left = function(key, arg)
    redis.call('ZADD', KEYS[key], redis.call('HINCRBY', KEYS[key + 1], 'change', 1), ARGV[arg])
    redis.call('PEXPIRE', KEYS[key], ARGV[arg + 1])
  end,
  forget = function(key, arg) redis.call('HDEL', KEYS[key], ARGV[arg]) end,
  lay = function(key, arg)
    local before_out, before = trail_of(redis.call('GET', KEYS[key + 1]))  -- when it was left once, and joined again
    local out, polls = trail_of(redis.call('HGET', KEYS[key], ARGV[arg]))
    local trail = trail_text(before_out + out, before .. polls .. ARGV[arg + 1])
    redis.call('HDEL', KEYS[key], ARGV[arg])
    if #trail > 6 then redis.call('SET', KEYS[key + 1], trail, 'PX', ARGV[arg + 2]) end
  end,
  stand = function(key, arg)
    local id, ends = ARGV[arg + 1], ARGV[arg + 1] .. ARGV[arg + 3]
    for state = 1, 5 do
      if state == tonumber(ARGV[arg]) then
        redis.call('ZADD', KEYS[key + state - 1], ARGV[arg + 2], id)
      else
        redis.call('ZREM', KEYS[key + state - 1], id)
      end
    end
    if ARGV[arg + 4] == '0' then
      redis.call('ZREM', KEYS[key + 5], ends)
    else
      redis.call('ZADD', KEYS[key + 5], now() + ARGV[arg + 4], ends)
    end
  end,
  asked = function(key, arg)
    redis.call('SADD', KEYS[key], ARGV[arg])
    redis.call('SADD', KEYS[key + 1], ARGV[arg + 1])
  end,
  tell = function(key, arg)
    local owned = '{"client":' .. ARGV[arg + 3] .. ',' .. string.sub(ARGV[arg + 2], 2)
    for stream, data in pairs({[KEYS[key]] = ARGV[arg + 2], [KEYS[key + 1]] = owned}) do
      redis.call('XADD', stream, 'MAXLEN', '~', ARGV[arg + 4], '*', 'event', ARGV[arg], 'data', data)
      redis.call('PEXPIRE', stream, ARGV[arg + 5])
      redis.call('PUBLISH', stream, ARGV[arg + 1])
    end
  end,
  wake = function(key, arg)
    if redis.call('HSETNX', KEYS[key], 'stirred', 1) == 0 then return end
    if redis.call('HEXISTS', KEYS[key], 'holder') == 1 then
      redis.call('PUBLISH', ARGV[2], ARGV[arg])
      return
    end
    redis.call('ZADD', KEYS[2], 'LT', now(), ARGV[arg])
    redis.call('PERSIST', KEYS[key])
    redis.call('PUBLISH', ARGV[3], ARGV[arg])
  end,
}
each(function(name, key, arg) apply[name](key, arg) end)
return {'saved'}
