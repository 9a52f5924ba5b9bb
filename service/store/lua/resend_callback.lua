-- Puts a dead letter back, behind what its subject has waiting.
-- keys: out since queue dead letters
-- args: subject id now callback
-- reply: ok | unknown
if redis.call('HDEL', letters, id) == 0 then return { 'unknown' } end
redis.call('ZREM', dead, id)
redis.call('RPUSH', queue, callback)
redis.call('ZADD', out, 'NX', now, subject)
redis.call('ZADD', since, 'NX', now, subject)
return { 'ok' }
