-- Keeps sealed copies of the look-up key, one under each master key, and since when each key is known.
-- The first process to come decides which look-up key it is.
-- keys: meta
-- args: fingerprint copies now
-- reply: ok | other
redis.call('HSETNX', meta, 'lookup', fingerprint)
if redis.call('HGET', meta, 'lookup') ~= fingerprint then return { 'other' } end
for id, copy in pairs(cjson.decode(copies)) do
  redis.call('HSETNX', meta, 'lookup:' .. id, copy)
  redis.call('HSETNX', meta, 'since:' .. id, now)
end
return { 'ok' }
