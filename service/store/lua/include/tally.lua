-- needs: tally now
-- A slice of a tally, `m<minute mod 60>`, `h<hour mod 24>` or `d<day mod 15>`, is "index:sent:proven:peak"; the
-- peak, of a day, is the most that was proven in an hour.
local time = tonumber(now)
local minute, hour, day = math.floor(time / 60000), math.floor(time / 3600000), math.floor(time / 86400000)
local in_minute, in_hour, in_day = 'm' .. minute % 60, 'h' .. hour % 24, 'd' .. day % 15

local function read(slice)
  if not slice then return -1, 0, 0, 0 end
  local index, s, p, peak = string.match(slice, '^(%d+):(-?%d+):(-?%d+):(%d+)$')
  return tonumber(index), tonumber(s), tonumber(p), tonumber(peak)
end

-- A slice of now with a count more. If a later one has its place, the count is out of the window.
local function add(slice, now_index, sent, proven, least)
  local index, s, p, peak = read(slice)
  if index > now_index then return slice, s, p, peak end
  if index < now_index then s, p, peak = 0, 0, 0 end
  s, p, peak = s + sent, p + proven, math.max(peak, least)
  return string.format('%d:%d:%d:%d', now_index, s, p, peak), s, p, peak
end
