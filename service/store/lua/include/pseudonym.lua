-- needs: audit
-- A person stands in the trail under a pseudonym. `s:<look-up id>` alone ties the two, as long as a chargeback
-- may still be disputed (13 months) after the last event.
local tied = 400 * 86400
-- Written beside each event: layout 1 wrote none, and named persons by their look-up ids.
local form = 2

-- `"recipient":"<look-up id>.<proposed pseudonym>"` becomes the pseudonym; without a proposal, and with no
-- tie, the event is nobody's.
local function under_pseudonym(event)
  return (string.gsub(event, '"recipient":"(%x+)%.?(%x*)"', function(id, proposed)
    local key = string.sub(audit, 1, -6) .. 's:' .. id
    local pseudonym = redis.call('GETEX', key, 'EX', tied)
    if not pseudonym then
      if proposed == '' then return '"recipient":null' end
      pseudonym = proposed
      redis.call('SET', key, pseudonym, 'EX', tied)
    end
    return '"recipient":"' .. pseudonym .. '"'
  end, 1))
end
