-- Records that a delivery is about to be sent, and its code's digest, before the POST is made.
-- The last look before a message leaves: a close, an opt-out, an open breaker or any new fact stops it.
-- keys: record codes due opt_out breakers audit
-- args: id lease lease_until rev number delivery digest routes resend_after event
-- include: audit opted_out breakers
-- reply: ok | lost | changed | opted_out | tripped route until
if redis.call('HGET', record, 'lease') ~= lease then return { 'lost' } end
if redis.call('HGET', record, 'status') ~= 'pending' then return { 'lost' } end
if opted_out(redis.call('HGET', record, 'scopes')) then return { 'opted_out' } end
if redis.call('HGET', record, 'rev') ~= rev then return { 'changed' } end
-- Codes that are gone (expired, or lost with the server) could not be checked later.
if redis.call('EXISTS', codes) == 0 then return { 'lost' } end
local tripped = open_breaker(routes)
if tripped then return tripped end
if redis.call('HSETNX', record, 'd' .. number, delivery) == 0 then return { 'changed' } end
redis.call('HSET', codes, 'd' .. number, digest)
redis.call('HSET', record, 'lease_until', lease_until, 'resend_after', resend_after)
redis.call('HINCRBY', record, 'rev', 1)
redis.call('ZADD', due, lease_until, id)
append_audit(event)
return { 'ok' }
