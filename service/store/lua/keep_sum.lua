-- Keeps the sum of an hour over all partitions, unless a newer one is there. The version grows with every count.
-- keys: sum
-- args: version rows keep
-- reply: ok | older
if tonumber(redis.call('HGET', sum, 'version') or '-1') >= tonumber(version) then return { 'older' } end
redis.call('HSET', sum, 'version', version, 'rows', rows)
redis.call('PEXPIRE', sum, keep)
return { 'ok' }
