-- Sets a chain back to a head that it had, after the store lost what followed: that is sealed anew.
-- keys: chain links
-- args: expected_hash sequence hash reached
-- reply: ok | moved
if (redis.call('HGET', chain, 'hash') or '') ~= expected_hash then return { 'moved' } end
local left = reached == '' and {} or redis.call('XRANGE', links, '-', reached)
-- A stream takes no id below one that it had, so what is left is written anew.
redis.call('DEL', chain, links)
for _, page in ipairs(left) do redis.call('XADD', links, page[1], unpack(page[2])) end
if reached ~= '' then redis.call('HSET', chain, 'sequence', sequence, 'hash', hash, 'id', reached) end
return { 'ok' }
