-- Cancels a verification for its app.
-- keys: record codes due active audit
-- args: id app now event
-- include: audit close
-- reply: ok | unknown | closed status
if redis.call('HGET', record, 'app') ~= app then return { 'unknown' } end
local status = redis.call('HGET', record, 'status')
if status ~= 'pending' and status ~= 'undeliverable' then return { 'closed', status } end
if tonumber(redis.call('HGET', record, 'expires_at')) <= tonumber(now) then
  return { 'closed', 'expired' }
end
close(record, codes, id, 'canceled', 'canceled', now, false)
append_audit(event)
return { 'ok' }
