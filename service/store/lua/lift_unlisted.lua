-- Lifts what only Telnyx's list said and its looks since `before` did not have: a part of one partition.
-- keys: listed opt_outs audit
-- args: prefix before most event
-- include: audit
-- reply: ok lifted left
local gone = redis.call('ZRANGEBYSCORE', listed, '-inf', '(' .. before, 'LIMIT', 0, most)
local lifted = 0
for _, member in ipairs(gone) do
  redis.call('ZREM', listed, member)
  local entry = redis.call('GET', prefix .. 'o:' .. member)
  local held = entry and cjson.decode(entry)
  if held and held.source == 'telnyx' then
    redis.call('DEL', prefix .. 'o:' .. member)
    redis.call('ZREM', opt_outs, member)
    append_audit_with(event, {
      recipient = string.sub(member, 1, 32), masked = held.masked, scope = held.scope })
    lifted = lifted + 1
  end
end
return { 'ok', tostring(lifted), tostring(redis.call('ZCOUNT', listed, '-inf', '(' .. before)) }
