-- A sliding log: every count is kept with its time, so that no burst passes at a window's edge.
-- `windows` is "count/seconds,count/seconds"; times are milliseconds.
local function take(log, windows, member, now)
  local longest, held = 0, nil
  for count, seconds in string.gmatch(windows, '(%d+)/(%d+)') do
    local length = tonumber(seconds) * 1000
    longest = math.max(longest, length)
    local since = '(' .. string.format('%.0f', now - length)
    if redis.call('ZCOUNT', log, since, '+inf') >= tonumber(count) then
      -- Free again when the oldest of the last `count` entries leaves the window.
      local oldest = redis.call('ZREVRANGE', log, tonumber(count) - 1, tonumber(count) - 1, 'WITHSCORES')
      local wait = tonumber(oldest[2]) + length - now
      if not held or wait > held.wait then
        held = { wait = wait, count = count, seconds = seconds }
      end
    end
  end
  if held then
    return { 'limited', held.count, held.seconds, string.format('%.0f', held.wait) }
  end
  if longest > 0 then
    redis.call('ZREMRANGEBYSCORE', log, '-inf', string.format('%.0f', now - longest))
    redis.call('ZADD', log, now, member)
    redis.call('PEXPIRE', log, longest)
  end
  return { 'ok' }
end
