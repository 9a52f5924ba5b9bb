-- Creates a verification, leased by its creator, and cancels the one that it supersedes. With a `delivery`,
-- it begins that too, unless a breaker holds it back. With uniform answers what is refused is created too,
-- `withheld`: it sends nothing, and its event says why (`refused`: what is known of it already). A `digest`
-- without a delivery is a test number's.
-- keys: record codes due active pending opt_out limit guesses known breakers audit
-- args: id prefix now base more scopes salt app attempts expires_at ttl retention resend_after lease lease_until windows budget clients event callback uniform withheld refused delivery digest routes begun_event
-- include: refuse_start breakers supersede
-- reply: ok | begun | withheld reason | exists | opted_out | over_budget count seconds wait | limited count seconds wait
if redis.call('EXISTS', record) == 1 then return { 'exists' } end
local why
if withheld == '' then
  local reason, figures, reply = refuse_start()
  if reply and uniform == '' then
    append_audit_instead(event, 'guard.blocked', figures)
    return reply
  end
  withheld, why = reason or '', figures
end

local older = redis.call('GET', pending)
if older then supersede(older, event) end

local is_begun = withheld == '' and delivery ~= '' and not open_breaker(routes)
local fields = { 'base', base, 'scopes', scopes, 'app', app, 'status', 'pending',
  'rev', is_begun and 2 or 1, 'attempts_allowed', attempts, 'expires_at', expires_at,
  'resend_after', resend_after, 'lease', lease, 'lease_until', lease_until }
local function keep(name, value)
  fields[#fields + 1], fields[#fields + 2] = name, value
end
if more ~= '' then keep('more', more) end
if callback ~= '' then keep('callback', callback) end
if withheld ~= '' then keep('withheld', withheld) end
if is_begun then keep('d1', delivery) end
redis.call('HSET', record, unpack(fields))
redis.call('PEXPIRE', record, retention)
if is_begun then
  redis.call('HSET', codes, 'salt', salt, 'd1', digest)
elseif withheld == '' and delivery == '' and digest ~= '' then
  redis.call('HSET', codes, 'salt', salt, 'd0', digest)
else
  redis.call('HSET', codes, 'salt', salt)
end
redis.call('PEXPIRE', codes, ttl)
redis.call('SET', pending, id, 'PX', ttl)
redis.call('ZADD', active, expires_at, id)
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)
redis.call('PEXPIRE', active, retention)
redis.call('ZADD', due, lease_until, id)
if withheld ~= '' then
  why = why or cjson.decode(refused)
  why.verification, why.reason = id, withheld
  append_audit_instead(event, 'guard.blocked', why)
  return { 'withheld', withheld }
end
append_audit(event)
if not is_begun then return { 'ok' } end
append_audit(begun_event)
return { 'begun' }
