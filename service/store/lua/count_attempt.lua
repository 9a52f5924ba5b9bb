-- Counts an attempt before anything is compared.
-- keys: record codes due audit
-- args: id app now grace_until event
-- include: audit
-- reply: ok salt fields... | unknown | closed status | exhausted
if redis.call('HGET', record, 'app') ~= app then return { 'unknown' } end
local status = redis.call('HGET', record, 'status')
if status ~= 'pending' and status ~= 'undeliverable' then return { 'closed', status } end
if tonumber(redis.call('HGET', record, 'expires_at')) <= tonumber(now)
    or redis.call('EXISTS', codes) == 0 then
  return { 'closed', 'expired' }
end
local allowed = tonumber(redis.call('HGET', record, 'attempts_allowed'))
if tonumber(redis.call('HGET', record, 'attempts') or '0') >= allowed then return { 'exhausted' } end
local used = redis.call('HINCRBY', record, 'attempts', 1)
redis.call('HSET', record, 'attempt_at', now)
redis.call('HINCRBY', record, 'rev', 1)
if used >= allowed and status == 'pending' then
  -- Should the last comparison die half-way, the deadline closes the verification.
  redis.call('ZADD', due, grace_until, id)
end
append_audit_with(event, { attempts_remaining = allowed - used })
local reply = redis.call('HGETALL', record)
table.insert(reply, 1, redis.call('HGET', codes, 'salt'))
table.insert(reply, 1, 'ok')
return reply
