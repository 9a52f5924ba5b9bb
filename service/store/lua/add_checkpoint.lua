-- Adds the next checkpoint, unless somebody else did.
-- keys: checkpoints
-- args: number checkpoint most
-- reply: ok | moved
local last = redis.call('XREVRANGE', checkpoints, '+', '-', 'COUNT', 1)[1]
local number_of_last = last and string.match(last[1], '^%d+') or '0'
if tonumber(number_of_last) + 1 ~= tonumber(number) then return { 'moved' } end
redis.call('XADD', checkpoints, 'MAXLEN', most, number .. '-0', 'checkpoint', checkpoint)
return { 'ok' }
