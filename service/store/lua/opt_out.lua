-- Records an opt-out under its scope and stops every pending verification that falls under it.
-- `member` names it among the partition's opt-outs; `listed_at` is given where Telnyx's list has it.
-- keys: entry opt_outs listed active due audit
-- args: member scope prefix now since source value listed_at event
-- include: audit due
-- reply: ok id... | known
if listed_at ~= '' then redis.call('ZADD', listed, listed_at, member) end
local known = redis.call('GET', entry)
if known then
  local held = cjson.decode(known)
  if held.source == 'telnyx' and source ~= 'telnyx' then
    -- The word of a person or an app outlives a row of Telnyx's list.
    held.source = source
    redis.call('SET', entry, cjson.encode(held))
    append_audit(event)
  end
  return { 'known' }
end
redis.call('SET', entry, value)
redis.call('ZADD', opt_outs, since, member)
append_audit(event)
local reply = { 'ok' }
for _, id in ipairs(redis.call('ZRANGEBYSCORE', active, '(' .. now, '+inf')) do
  -- Same recipient, so same partition and slot: the key may be built here.
  local record = prefix .. 'v:' .. id
  local scopes = redis.call('HGET', record, 'scopes')
  -- A record that says nothing of its scopes was made before there were any: it is stopped.
  local covered = scope == '*' or not scopes
    or string.find(' ' .. scopes .. ' ', ' ' .. scope .. ' ', 1, true)
  if covered and redis.call('HGET', record, 'status') == 'pending' then
    redis.call('HSET', record, 'opted_out', now)
    make_due(record, id, now)
    table.insert(reply, id)
  end
end
return reply
