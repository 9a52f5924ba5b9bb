-- Lifts an opt-out.
-- keys: entry opt_outs listed audit
-- args: member event
-- include: audit
-- reply: ok | unknown
if redis.call('DEL', entry) == 0 then return { 'unknown' } end
redis.call('ZREM', opt_outs, member)
redis.call('ZREM', listed, member)
append_audit(event)
return { 'ok' }
