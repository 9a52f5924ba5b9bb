-- Counts against one limit.
-- keys: limit
-- args: windows member now
-- include: window
-- reply: ok count seconds remaining reset | limited count seconds wait
local limited, window = take(limit, windows, member, tonumber(now))
if limited or not window then return limited or { 'ok' } end
local oldest = redis.call('ZRANGEBYSCORE', limit, window.since, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return { 'ok', window.count, window.seconds, string.format('%d', math.max(window.left, 0)),
  string.format('%d', (oldest[2] or now) + window.length - now) }
