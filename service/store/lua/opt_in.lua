-- Lifts an opt-out.
-- keys: opt_out opt_outs audit
-- args: recipient event
-- include: audit
-- reply: ok | unknown
if redis.call('DEL', opt_out) == 0 then return { 'unknown' } end
redis.call('ZREM', opt_outs, recipient)
append_audit(event)
return { 'ok' }
