package provision

import "github.com/compspec/ocifit-lab/provision/cost"

// Estimate is what the lab costs an hour.
type Estimate = cost.Rate
