-- Counts against one limit.
-- keys: limit
-- args: windows member now
-- include: window
-- reply: ok count seconds remaining reset | limited count seconds wait
return take(limit, windows, member, tonumber(now))
