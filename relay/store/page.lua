-- page.lua: the newest entries of several zsets, as if they were one, in descending order of score and member.
--
-- KEYS[1...]  zsets (packed id -> registered at, ms)
-- ARGV[1]     the highest score, or '+inf'      ARGV[2]  with that score, only members before this one; '' for all
-- ARGV[3]     how many
-- Returns {member, score, ...}. It only reads.

local highest, before, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local chunk = math.min(count, 10 + math.ceil(count / #KEYS))

local function less(one, other)  -- byte by byte: Lua's own order is that of the server's locale
  for at = 1, math.min(#one, #other) do
    local left, right = string.byte(one, at), string.byte(other, at)
    if left ~= right then return left < right end
  end
  return #one < #other
end

local function advance(source)
  repeat
    if source.at > #source.found then
      if source.over then source.member = nil; return end
      source.found = redis.call(
        'ZRANGE', source.key, highest, '-inf', 'BYSCORE', 'REV', 'LIMIT', source.read, chunk, 'WITHSCORES')
      source.at, source.read, source.over = 1, source.read + chunk, #source.found < 2 * chunk
      if #source.found == 0 then source.member = nil; return end
    end
    source.member, source.score = source.found[source.at], tonumber(source.found[source.at + 1])
    source.at = source.at + 2
  until before == '' or source.score < tonumber(highest) or less(source.member, before)
end

local sources, page = {}, {}
for number, key in ipairs(KEYS) do
  sources[number] = {key = key, found = {}, at = 1, read = 0, over = false}
  advance(sources[number])
end
while #page < 2 * count do
  local newest
  for _, source in ipairs(sources) do
    if source.member and (not newest or source.score > newest.score
        or (source.score == newest.score and less(newest.member, source.member))) then
      newest = source
    end
  end
  if not newest then break end
  page[#page + 1], page[#page + 2] = newest.member, string.format('%d', newest.score)
  advance(newest)
end
return page
