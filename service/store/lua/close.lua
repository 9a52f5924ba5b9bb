-- Ends a verification as its holder decided, unless a new fact came in meanwhile.
-- keys: record codes due active audit
-- args: id lease rev now status reason event
-- include: audit close
-- reply: ok | changed | lost
if redis.call('HGET', record, 'lease') ~= lease then return { 'lost' } end
if redis.call('HGET', record, 'status') ~= 'pending' then return { 'lost' } end
if redis.call('HGET', record, 'rev') ~= rev then return { 'changed' } end
close(record, codes, id, status, reason, now, status == 'undeliverable')
append_audit(event)
return { 'ok' }
