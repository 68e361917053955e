-- clock.lua: stands before every script. store_now() returns the store's clock and the server's own, both in ms. The
-- store's is never set back: leases, slots and due times were promised on it, and would else be waited for so much
-- longer.
--
-- CLOCK (a hash, named by relay/store/scripts.py) keeps how far it is ahead of the server's own clock, and when it was
-- last looked at, give or take SEEN_EACH.

local SEEN_EACH = 100

local function store_now()
  local time = redis.call('TIME')
  local ahead, seen = unpack(redis.call('HMGET', CLOCK, 'ahead', 'seen'))
  ahead, seen = tonumber(ahead or '0'), tonumber(seen or '0')
  local server = time[1] * 1000 + math.floor(time[2] / 1000)
  local now = server + ahead
  if now < seen then
    redis.call('HSET', CLOCK, 'ahead', string.format('%d', seen - server))
    return seen, server
  end
  if now >= seen + SEEN_EACH then redis.call('HSET', CLOCK, 'seen', string.format('%d', now)) end
  return now, server
end

