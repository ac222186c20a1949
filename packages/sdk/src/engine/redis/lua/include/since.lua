--- Time at which a run became ready, as it follows the phase in its record; here for what becomes ready now.
--- include "now"
local since_text
local function since()
  since_text = since_text or format("%.0f", now())
  return since_text
end
