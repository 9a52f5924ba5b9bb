-- Money in slices of time: a hash of `<seconds>:<slot>` to `index:amount`. `windows` is
-- "amount/seconds/slices,..."; a slice counts until all of it has left the window, so there is one more slot.
-- Amounts are micros, times milliseconds.
local function each_window(windows)
  local step = string.gmatch(windows, '(%d+)/(%d+)/(%d+)')
  return function()
    local amount, seconds, slices = step()
    if not amount then return nil end
    return tonumber(amount), seconds, tonumber(slices), tonumber(seconds) * 1000 / tonumber(slices)
  end
end

local function slot_of(seconds, index, slices)
  return seconds .. ':' .. string.format('%.0f', index % (slices + 1))
end

local function read_slice(value)
  local index, amount = string.match(value or '', '^(%d+):(%d+)$')
  return tonumber(index or '-1'), tonumber(amount or '0')
end

-- Adds to the slices of an instant, where they are still kept.
local function book(money, windows, amount, at)
  for _, seconds, slices, size in each_window(windows) do
    local index = math.floor(at / size)
    local slot = slot_of(seconds, index, slices)
    local held, sum = read_slice(redis.call('HGET', money, slot))
    if held < index then held, sum = index, 0 end
    if held == index then
      redis.call('HSET', money, slot, string.format('%.0f:%.0f', index, math.max(sum + amount, 0)))
    end
  end
end
