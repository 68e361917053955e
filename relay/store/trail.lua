-- trail.lua: stands before every script. A trail is how many polls it leaves out (6 hex digits), and 12 characters for
-- each poll that it keeps (relay/domain/trail.py says which).

local TRAIL_KEEPS = 100

-- Returns how many polls a trail leaves out, and those that it keeps; false is an empty trail.
local function trail_of(text)
  return tonumber(string.sub(text or '', 1, 6), 16) or 0, string.sub(text or '', 7)
end

-- Returns those of the new polls that are not there yet: a turn whose answer was lost tells them again.
local function polls_after(polls, new)
  local last = string.sub(polls, -12)
  local at = #last == 12 and string.find(new, last, 1, true)
  return at and string.sub(new, at + 12) or new
end

-- Returns a trail that leaves out so many, and as many of these polls as need be to keep the last hundred.
local function trail_text(out, polls)
  local over = math.max(0, #polls / 12 - TRAIL_KEEPS)
  return string.format('%06x', out + over) .. string.sub(polls, 1 + 12 * over)
end

