-- What a verification's start fixed. What layout 1 did not know stands in `more`.
local function parse_base(base, more)
  local found = cjson.decode(base)
  for name, value in pairs(cjson.decode(more or '{}')) do found[name] = value end
  return found
end

local function read_base(record)
  return parse_base(unpack(redis.call('HMGET', record, 'base', 'more')))
end
