-- Adds links to a partition's chain, unless somebody else did: a chain cannot fork.
-- keys: chain links
-- args: expected expected_hash sequence hash reached ids hashes
-- reply: ok | moved
local head = redis.call('HMGET', chain, 'sequence', 'hash')
if (head[1] or '0') ~= expected or (head[2] and head[2] ~= expected_hash) then return { 'moved' } end
-- First what may be refused, so that no head is without its links.
redis.call('XADD', links, reached, 'first', string.format('%.0f', tonumber(expected) + 1),
  'ids', ids, 'hashes', hashes)
redis.call('HSET', chain, 'sequence', sequence, 'hash', hash, 'id', reached)
return { 'ok' }
