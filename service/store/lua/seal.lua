-- Adds links to a partition's chain, unless somebody else did: a chain cannot fork.
-- keys: chain links
-- args: expected sequence hash reached ids hashes
-- reply: ok | moved
if (redis.call('HGET', chain, 'sequence') or '0') ~= expected then return { 'moved' } end
redis.call('HSET', chain, 'sequence', sequence, 'hash', hash, 'id', reached)
redis.call('XADD', links, reached, 'first', string.format('%.0f', tonumber(expected) + 1),
  'ids', ids, 'hashes', hashes)
return { 'ok' }
