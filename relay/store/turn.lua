-- turn.lua: one turn of a poll lane: renew its lease, settle the slots of answered polls, grant the next ones on the
-- store's clock, write what must outlive the holder, and hand over what has changed.
--
-- KEYS[1] lane hash   KEYS[2] relay:lanes   KEYS[3] pending (zset, task -> change number)   KEYS[4] looks (hash)
-- KEYS[5] tasks that somebody else has taken out of `pending` (zset, task -> change number)
-- KEYS[6] trails (hash)      KEYS[7] relay:accounts (hash, account -> what the operator has said of it)
-- KEYS[8...] statuses of tasks that are still pending
-- ARGV[1] lane             ARGV[2] epoch             ARGV[3] lease (ms)
-- ARGV[4] ms since the holder's last turn, on its own monotonic clock
-- ARGV[5] the last change number seen                ARGV[6] changes to hand over at most
-- ARGV[7] calls            ARGV[8] window (ms)       ARGV[9] timeout of a call (ms)   ARGV[10] quantum of slots (ms)
-- ARGV[11] slots wanted    ARGV[12] how far ahead a slot may be granted (ms)
-- ARGV[13] calls a UTC day, 0 for no limit           ARGV[14] number of this turn, each greater than the last
-- ARGV[15] what ended: 'till=hold=number ...' - the slot that was to be held until `till` is held `hold` ms from now, or
--          was never used (hold -1), as the turn of this number told first
-- ARGV[16] '1' to hand over changes even if nothing stirred
-- ARGV[17] ms from now before which no slot is wanted; from there on they are granted one pace apart
-- ARGV[18] number of the last turn whose answer was heard
-- ARGV[19] digest of what the operator had said when the holder read it, '' when that is not asked
-- ARGV[20] the account      ARGV[21] the default account, which completes it
-- ARGV[22...] first task and value for each status, then task, looks and new polls of its
-- trail, or '', for each of the looks
--
-- The lane hash's `slots` is 'till=count ...': so many slots are held until that instant (store ms). A granted slot
-- is held until its call must have timed out and a window has passed; its answer shortens that to answer + window.
-- Grants may lie ahead, when held slots come free and the pace comes round: a slot is never promised twice, as the
-- promise itself is held from then on. `told` and `granted` are of the last turn: when its answer was not heard, nothing
-- of what it granted was used, and what it told is told again. A turn that comes late, after a later one, is refused.
-- Nothing is granted to who does not know what the operator says now; `said` is the digest of what was last kept to.
-- Returns false when fenced, else {now, slots in use, ms by which the clock jumped, grants {at, till, count, ...}, next
-- instant at which a slot comes free or -1, changes {task, number, ...}, 1 when the operator says something newer}.

local HOUR, DAY = 3600000, 86400000
local now, server_now = store_now()
local epoch, turned, slots, day, spent, busy, paced, stirred, held_for, unsure, told, unheard, said = unpack(redis.call(
  'HMGET', KEYS[1], 'epoch', 'turned', 'slots', 'day', 'spent', 'busy', 'paced', 'stirred', 'window', 'unsure', 'told',
  'granted', 'said'
))
told = tonumber(told or '0')
if epoch ~= ARGV[2] or tonumber(ARGV[14]) <= told then return false end

local function words(account) return redis.call('HGET', KEYS[7], account) or '' end
local outdated = ARGV[19] ~= '' and redis.sha1hex(words(ARGV[20]) .. '\n' .. words(ARGV[21])) ~= ARGV[19]

local calls, window, timeout, quantum = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local function rounded(at) return math.ceil(at / quantum) * quantum end

-- A clock that jumped forward would empty the window, so the slots jump with it; one that jumped back would hold them
-- for ever, so none is held longer than the longest hold there is. When the window has become longer, so has every hold.
local jump = now - tonumber(turned) - tonumber(ARGV[4])
if jump < 500 then jump = 0 end
local longer = math.max(0, window - (held_for or window))
local longest = now + tonumber(ARGV[12]) + timeout + window + quantum
local held = {}
local function moved(till) return math.min(till + jump + longer, longest) end
for till, count in string.gmatch(slots or '', '(%d+)=(%d+)') do
  till = moved(till)
  held[till] = (held[till] or 0) + count
end

-- Slots may have been granted that the store has lost: the window counts as full until the last of them has ended.
if unsure then
  held = {[rounded(now + ARGV[12] + timeout + window)] = calls}
  redis.call('HDEL', KEYS[1], 'unsure')
end

local unused = 0
local function free(till, count)
  if held[till] then held[till] = held[till] - count end
end
if tonumber(ARGV[18]) < told then
  for till, count in string.gmatch(unheard or '', '(%d+)=(%d+)') do
    free(moved(till), count)
    unused = unused + count
  end
end
for till, hold, first in string.gmatch(ARGV[15], '(%d+)=(%-?%d+)=(%d+)') do
  if tonumber(first) > told then
    free(till + longer, 1)
    hold = tonumber(hold)
    if hold < 0 then unused = unused + 1 end
    if hold > 0 then
      local later = rounded(now + 1 + hold)  -- `now` has lost its fraction of a millisecond
      held[later] = (held[later] or 0) + 1
    end
  end
end

local ends, in_use = {}, 0
for till, count in pairs(held) do
  if till <= now or count <= 0 then held[till] = nil else
    ends[#ends + 1] = till
    in_use = in_use + count
  end
end
table.sort(ends)

-- What is left of a day's calls is spread over what is left of the time in which tasks are expected: as much of each
-- hour as was busy so far today, the hour before midnight counting as busy throughout.
local want, daily = outdated and 0 or tonumber(ARGV[11]), tonumber(ARGV[13])
local pace, earliest = window / calls, now + ARGV[17]
local counted, today = tonumber(day or '-1'), math.floor(server_now / DAY)
if daily > 0 then
  if counted < today then spent, busy = 0, 0 end
  today = math.max(today, counted)  -- a day that was begun too soon goes on
  local gone = math.max(0, server_now - today * DAY)
  spent, busy = spent - unused, math.min(gone, (busy or 0) + ARGV[4])
  want = math.min(want, daily - spent)
  if want > 0 then
    pace = math.max(pace, (DAY - gone) * (busy + HOUR) / (gone + HOUR) / (daily - spent))
    earliest = math.max(earliest, math.min(tonumber(paced or 0), now + pace))
  end
end

-- The j-th slot comes free when all but calls - j of the held ones have ended.
local grants, granted, next_free = {}, 0, now
local cursor, passed = 1, 0
while true do
  local must_end = in_use + granted + 1 - calls
  while cursor <= #ends and passed + held[ends[cursor]] < must_end do
    passed = passed + held[ends[cursor]]
    cursor = cursor + 1
  end
  if must_end > 0 then next_free = ends[cursor] or -1 end
  if granted >= want or next_free == -1 then break end
  earliest = math.max(earliest, next_free)
  local at = math.ceil(earliest)
  if at > now + ARGV[12] then break end
  granted, earliest = granted + 1, earliest + pace
  if grants[#grants - 2] == at then
    grants[#grants] = grants[#grants] + 1
  else
    grants[#grants + 1] = at
    grants[#grants + 1] = rounded(at + timeout + window)
    grants[#grants + 1] = 1
  end
end
for i = 2, #grants, 3 do held[grants[i]] = (held[grants[i]] or 0) + grants[i + 1] end

local kept, promised = {}, {}
for till, count in pairs(held) do kept[#kept + 1] = string.format('%d=%d', till, count) end
for i = 2, #grants, 3 do promised[#promised + 1] = string.format('%d=%d', grants[i], grants[i + 1]) end
local fields = {
  'turned', string.format('%d', now), 'slots', table.concat(kept, ' '), 'told', ARGV[14],
  'granted', table.concat(promised, ' '),
}
if daily > 0 then
  for _, word in ipairs({'day', today, 'spent', spent + granted, 'busy', busy}) do fields[#fields + 1] = word end
  if granted > 0 then
    fields[#fields + 1], fields[#fields + 2] = 'paced', string.format('%d', math.ceil(earliest))
  end
end
if held_for ~= ARGV[8] then fields[#fields + 1], fields[#fields + 2] = 'window', ARGV[8] end
if not outdated and said ~= ARGV[19] then fields[#fields + 1], fields[#fields + 2] = 'said', ARGV[19] end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
-- Of a task that is not pending any more nothing is written: it has its last word, and will be forgotten.
local function pending(task) return redis.call('ZSCORE', KEYS[3], task) end
local first_look, looks, trails = 22 + 2 * (#KEYS - 7), {}, {}
for i = 8, #KEYS do
  if pending(ARGV[6 + 2 * i]) then redis.call('SET', KEYS[i], ARGV[7 + 2 * i]) end
end
for i = first_look, #ARGV, 3 do
  if pending(ARGV[i]) then
    looks[#looks + 1], looks[#looks + 2] = ARGV[i], ARGV[i + 1]
    if ARGV[i + 2] ~= '' then
      local out, polls = trail_of(redis.call('HGET', KEYS[6], ARGV[i]))
      trails[#trails + 1], trails[#trails + 2] = ARGV[i], trail_text(out, polls .. polls_after(polls, ARGV[i + 2]))
    end
  end
end
if #looks > 0 then redis.call('HSET', KEYS[4], unpack(looks)) end
if #trails > 0 then redis.call('HSET', KEYS[6], unpack(trails)) end

local changes = {}
if stirred or ARGV[16] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[5])
  local found = {}
  for _, zset in ipairs({KEYS[3], KEYS[5]}) do
    local page = redis.call('ZRANGE', zset, '(' .. ARGV[5], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[6], 'WITHSCORES')
    for i = 1, #page, 2 do found[#found + 1] = {page[i], page[i + 1]} end
  end
  table.sort(found, function(one, other) return tonumber(one[2]) < tonumber(other[2]) end)
  for i = 1, math.min(#found, tonumber(ARGV[6])) do
    changes[2 * i - 1], changes[2 * i] = found[i][1], found[i][2]
  end
  if stirred then redis.call('HDEL', KEYS[1], 'stirred') end
end
return {now, in_use + granted, jump, grants, next_free, changes, outdated and 1 or 0}
