-- Forgets a dead letter.
-- keys: dead letters
-- args: id
-- reply: ok | unknown
redis.call('ZREM', dead, id)
return { redis.call('HDEL', letters, id) == 1 and 'ok' or 'unknown' }
