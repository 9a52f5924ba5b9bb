-- Cuts the tie between a person and her events, and drops what else leads from one to the other.
-- keys: tie active audit
-- args: prefix event records others
-- include: audit
-- reply: ok pseudonym | unknown | pending id
local pseudonym = redis.call('GET', tie)
if not pseudonym then return { 'unknown' } end
for _, id in ipairs(redis.call('ZRANGE', active, 0, -1)) do
  -- Same partition and slot, here and below: the keys may be built here.
  if redis.call('HGET', prefix .. 'v:' .. id, 'status') == 'pending' then return { 'pending', id } end
end
append_audit(event)
redis.call('DEL', tie, active)
for id in string.gmatch(records, '%S+') do
  redis.call('DEL', prefix .. 'v:' .. id, prefix .. 'c:' .. id)
end
for name in string.gmatch(others, '%S+') do redis.call('DEL', name) end
return { 'ok', pseudonym }
