-- Keeps the sum of an hour over all partitions, unless a newer one is there. The version grows with every count.
-- keys: sum
-- args: version keep logins senders carriers
-- reply: ok | older
if tonumber(redis.call('HGET', sum, 'version') or '-1') >= tonumber(version) then return { 'older' } end
redis.call('HSET', sum, 'version', version, 'logins', logins, 'senders', senders, 'carriers', carriers)
-- What an earlier release kept instead.
redis.call('HDEL', sum, 'rows')
redis.call('PEXPIRE', sum, keep)
return { 'ok' }
