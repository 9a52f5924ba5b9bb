-- What a verification's start fixed. What layout 1 did not know stands in `more`.
local function read_base(record)
  local found = redis.call('HMGET', record, 'base', 'more')
  local base = cjson.decode(found[1])
  for name, value in pairs(cjson.decode(found[2] or '{}')) do base[name] = value end
  return base
end
