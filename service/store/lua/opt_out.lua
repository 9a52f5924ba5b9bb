-- Records an opt-out and stops every pending verification of the recipient.
-- keys: opt_out opt_outs active due audit
-- args: recipient prefix now entry event
-- include: audit due
-- reply: ok id... | known
if redis.call('EXISTS', opt_out) == 1 then return { 'known' } end
redis.call('SET', opt_out, entry)
redis.call('ZADD', opt_outs, now, recipient)
append_audit(event)
local reply = { 'ok' }
for _, id in ipairs(redis.call('ZRANGEBYSCORE', active, '(' .. now, '+inf')) do
  -- Same recipient, so same partition and slot: the key may be built here.
  local record = prefix .. 'v:' .. id
  if redis.call('HGET', record, 'status') == 'pending' then
    redis.call('HSET', record, 'opted_out', now)
    make_due(record, id, now)
    table.insert(reply, id)
  end
end
return reply
