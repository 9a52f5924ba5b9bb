-- A sliding log: every count is kept with its time, so that no burst passes at a window's edge.
-- `windows` is "count/seconds,count/seconds"; times are milliseconds. A member counts once, so that a
-- start that is tried again under its id is not refused by itself. Gives `limited count seconds wait`, or
-- nothing and how the window stands that has the least left.
local function take(log, windows, member, now)
  local is_new = redis.call('EXISTS', log) == 0
  local counted = not is_new and redis.call('ZSCORE', log, member)
  local longest, held, tightest = 0, nil, nil
  for count, seconds in string.gmatch(windows, '(%d+)/(%d+)') do
    local length = tonumber(seconds) * 1000
    longest = math.max(longest, length)
    local since = string.format('(%d', now - length)
    local used = is_new and 0 or redis.call('ZCOUNT', log, since, '+inf')
    local left = tonumber(count) - used - (counted and 0 or 1)
    if left < 0 and not counted then
      -- Free again when the oldest of the last `count` entries leaves the window.
      local oldest = redis.call('ZREVRANGE', log, tonumber(count) - 1, tonumber(count) - 1, 'WITHSCORES')
      local wait = tonumber(oldest[2]) + length - now
      if not held or wait > held.wait then
        held = { wait = wait, count = count, seconds = seconds }
      end
    end
    if not tightest or left < tightest.left then
      tightest = { left = left, count = count, seconds = seconds, length = length, since = since }
    end
  end
  if held then
    return { 'limited', held.count, held.seconds, string.format('%.0f', held.wait) }
  end
  if not tightest then return nil end
  if not is_new then redis.call('ZREMRANGEBYSCORE', log, '-inf', string.format('%d', now - longest)) end
  redis.call('ZADD', log, 'NX', now, member)
  redis.call('PEXPIRE', log, longest)
  return nil, tightest
end
