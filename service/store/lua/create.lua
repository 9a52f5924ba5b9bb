-- Creates a verification, leased by its creator, and cancels the one that it supersedes. With a `delivery`,
-- it begins that too, unless a breaker holds it back. With uniform answers what is refused is created too,
-- `withheld`: it sends nothing, and its event says why. A `digest` without a delivery is a test number's.
-- keys: record codes due active pending opt_out limit guesses known breakers audit
-- args: id prefix now base more scopes salt app attempts expires_at ttl retention resend_after lease lease_until windows budget event superseded_event blocked_event callback uniform withheld delivery digest routes begun_event
-- include: window guesses opted_out breakers supersede
-- reply: ok | begun | withheld reason | exists | opted_out | over_budget count seconds wait | limited count seconds wait
if redis.call('EXISTS', record) == 1 then return { 'exists' } end
local fields, refusal = {}, nil
if withheld == '' then
  -- No message for a code that this client could not have compared. A notice has none: its budget is empty.
  local over = budget ~= '' and
    over_budget(guesses, known, cjson.decode(more).clients or {}, budget, tonumber(now))
  if opted_out(scopes) then
    withheld, fields, refusal = 'recipient_opted_out', { rule = 'opt_out' }, { 'opted_out' }
  elseif over then
    withheld, fields, refusal = 'rate_limited', limit_fields('wrong_codes', over), over
    over[1] = 'over_budget'
  else
    local verdict = take(limit, windows, id, tonumber(now))
    if verdict[1] ~= 'ok' then
      withheld, fields, refusal = 'rate_limited', limit_fields('recipient', verdict), verdict
    end
  end
  if refusal and uniform == '' then
    append_audit_with(blocked_event, fields)
    return refusal
  end
end

local older = redis.call('GET', pending)
if older then supersede(older, superseded_event) end

redis.call('HSET', record, 'base', base, 'more', more, 'scopes', scopes, 'app', app, 'status', 'pending', 'rev', 1,
  'attempts_allowed', attempts, 'expires_at', expires_at, 'resend_after', resend_after,
  'lease', lease, 'lease_until', lease_until)
if callback ~= '' then redis.call('HSET', record, 'callback', callback) end
redis.call('PEXPIRE', record, retention)
redis.call('HSET', codes, 'salt', salt)
redis.call('PEXPIRE', codes, ttl)
redis.call('SET', pending, id, 'PX', ttl)
redis.call('ZADD', active, expires_at, id)
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)
redis.call('PEXPIRE', active, retention)
redis.call('ZADD', due, lease_until, id)
if withheld == '' then
  append_audit(event)
  if delivery == '' and digest ~= '' then redis.call('HSET', codes, 'd0', digest) end
  if delivery == '' or open_breaker(routes) then return { 'ok' } end
  redis.call('HSET', record, 'd1', delivery, 'rev', 2)
  redis.call('HSET', codes, 'd1', digest)
  append_audit(begun_event)
  return { 'begun' }
end
redis.call('HSET', record, 'withheld', withheld)
fields.verification, fields.reason = id, withheld
append_audit_with(blocked_event, fields)
return { 'withheld', withheld }
