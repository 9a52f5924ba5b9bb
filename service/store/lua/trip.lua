-- Blocks a key that tripped, unless somebody else's start just did; what it tripped for is written off.
-- keys: tally blocks audit
-- args: name now until_ block epoch keep probation event
-- include: audit anew
-- reply: ok | known
if (redis.call('HGET', tally, 'epoch') or '0') ~= epoch then return { 'known' } end
begin_anew()
redis.call('HSET', tally, 'block', block)
redis.call('ZADD', blocks, until_, name)
redis.call('ZREMRANGEBYSCORE', blocks, '-inf', string.format('%.0f', tonumber(now) - tonumber(probation)))
redis.call('PEXPIRE', blocks, keep)
append_audit(event)
return { 'ok' }
