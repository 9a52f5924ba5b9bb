-- Adds a delivery report to its delivery's facts; a repetition has no effect.
-- keys: record due audit
-- args: id now number event_id report more most event
-- include: audit due base
-- reply: due | leased | closed | repeated | unknown
if redis.call('HEXISTS', record, 'd' .. number) == 0 then return { 'unknown' } end
local field = 'r' .. number .. ':' .. event_id
if redis.call('HEXISTS', record, field) == 1 then return { 'repeated' } end
-- Telnyx sends two events for a message; the bound keeps a flood out of the record.
if redis.call('HINCRBY', record, 'reports' .. number, 1) > tonumber(most) then return { 'repeated' } end
redis.call('HSET', record, field, report)
if more ~= '' and more ~= '{}' then redis.call('HSET', record, 'x' .. number .. ':' .. event_id, more) end
append_audit_with(event, whose(read_base(record), { app = redis.call('HGET', record, 'app') }))
if redis.call('HGET', record, 'status') ~= 'pending' then
  redis.call('HINCRBY', record, 'rev', 1)
  return { 'closed' }
end
return { make_due(record, id, now) }
