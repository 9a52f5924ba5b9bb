-- needs: tally now
-- A slice of a tally, `m<minute mod 60>`, `h<hour mod 24>` or `d<day mod 15>`, is "index:sent:proven:peak".
local time = tonumber(now)
local minute, hour, day = math.floor(time / 60000), math.floor(time / 3600000), math.floor(time / 86400000)
local in_minute, in_hour, in_day = 'm' .. minute % 60, 'h' .. hour % 24, 'd' .. day % 15

local function read(slice)
  if not slice then return -1, 0, 0, 0 end
  local index, s, p, peak = string.match(slice, '^(%d+):(-?%d+):(-?%d+):(%d+)$')
  return tonumber(index), tonumber(s), tonumber(p), tonumber(peak)
end

-- Counts in the slices of now, as they were read; gives them. If a later one has the place of one, this count
-- is out of its window. `peak` is the most that was proven in an hour.
local function count(slices, sent, proven)
  local fields, indices, now_slices, peak = { in_minute, in_hour, in_day }, { minute, hour, day }, {}, 0
  local writes = { 'HSET', tally }
  for i = 1, 3 do
    local index, s, p, highest = read(slices[i])
    if index < indices[i] then s, p, highest = 0, 0, 0 end
    if index <= indices[i] then
      s, p, highest = s + sent, p + proven, i == 3 and math.max(highest, peak) or 0
      writes[#writes + 1], writes[#writes + 2] = fields[i], string.format('%d:%d:%d:%d', indices[i], s, p, highest)
    end
    now_slices[i], peak = { s, p, highest }, p
  end
  if #writes > 2 then redis.call(unpack(writes)) end
  return now_slices
end
