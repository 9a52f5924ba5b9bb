-- Records that everything up to a checkpoint stands in an archive, unless somebody else archived it.
-- keys: archived daily audit
-- args: expected number archive event
-- include: audit
-- reply: ok | moved
local before = redis.call('HGET', archived, 'number') or '0'
if before ~= expected then return { 'moved' } end
redis.call('HSET', archived, 'number', number, 'archive', archive)
redis.call('XTRIM', daily, 'MINID', number .. '-0')
append_audit(event)
return { 'ok' }
