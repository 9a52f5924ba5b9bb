-- What a verification's start fixed, as far as scripts ask for it: of the short form, an array (store/records.py),
-- the first places and the object of the rest. What layout 1 did not know stands in `more`.
local function parse_base(base, more)
  local found = cjson.decode(base)
  if not found[1] then
    for name, value in pairs(cjson.decode(more or '{}')) do found[name] = value end
    return found
  end
  local of = found[11] or {}
  of.purpose, of.country, of.masked, of.recipient_id = unpack(found, 1, 4)
  return of
end

local function read_base(record)
  return parse_base(unpack(redis.call('HMGET', record, 'base', 'more')))
end
