-- Reserves the price of a message against one cap, unless it is reserved already.
-- keys: money held
-- args: now price windows keep
-- include: slices
-- reply: ok | limited amount seconds wait
if redis.call('EXISTS', held) == 1 then return { 'ok' } end
local time, wanted, refused = tonumber(now), tonumber(price), nil
for amount, seconds, slices, size in each_window(windows) do
  local current, sum, kept = math.floor(time / size), 0, {}
  for slot = 0, slices do
    local index, spent = read_slice(redis.call('HGET', money, seconds .. ':' .. slot))
    if index >= current - slices then
      sum = sum + spent
      kept[#kept + 1] = { index, spent }
    end
  end
  if sum + wanted > amount then
    -- Free again when enough of the oldest slices have left.
    table.sort(kept, function(a, b) return a[1] < b[1] end)
    local wait = tonumber(seconds) * 1000
    for _, slice in ipairs(kept) do
      sum = sum - slice[2]
      if sum + wanted <= amount then
        wait = (slice[1] + slices + 1) * size - time
        break
      end
    end
    if not refused or wait > refused.wait then
      refused = { wait = wait, amount = amount, seconds = seconds }
    end
  end
end
if refused then
  return { 'limited', string.format('%.0f', refused.amount), refused.seconds,
    string.format('%.0f', refused.wait) }
end
book(money, windows, wanted, time)
redis.call('PEXPIRE', money, keep)
redis.call('SET', held, price .. ':' .. now, 'PX', keep)
return { 'ok' }
